"""`inverter explore`: a live web application that makes pictures of a network while one looks at it."""
