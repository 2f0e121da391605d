"""Egg's application framework in Python: Application and Agent, Context, controllers, services, middleware and routes."""
