"""What scenarios stand on: the switch, SIPp, baresip, and ears."""
