"""The console: a web page on which people see what the guard has stopped, and decide."""
