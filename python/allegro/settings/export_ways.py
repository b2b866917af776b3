"""The ways on which captures go to a server, by their names in the settings, and as users read them."""

EXPORT_WAYS = {"sftp": "SFTP", "webdav": "WebDAV", "https": "HTTPS", "s3": "S3"}
