"""Upload queue, SFTP, and when files are sent."""
