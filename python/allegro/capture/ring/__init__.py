"""What lies on the disk: records, news, the files that hold them, who writes and who reads them."""
