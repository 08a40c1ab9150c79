"""Normal equations in closed form: an inverse without iterations."""
