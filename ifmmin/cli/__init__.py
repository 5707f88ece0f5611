"""The command ifmmin: one module for each verb."""
