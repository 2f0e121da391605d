"""What tests of an application need: a plugin of pytest (`plugin`), and the parts its fixtures are made of. Egg's egg-mock."""
