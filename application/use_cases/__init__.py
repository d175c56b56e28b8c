"""What the service does: plain functions; first what is asked, then every port that is touched, by keyword."""
