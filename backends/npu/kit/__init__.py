"""The bring-up kit: what a hardware team needs to hold its own simulator or RTL against this machine."""
