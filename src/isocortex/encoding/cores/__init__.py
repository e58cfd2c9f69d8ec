"""Response-optimised cores: small convolutional networks trained from scratch on the responses of a region."""
