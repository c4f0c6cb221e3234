"""What the operator declares and what every process needs: settings, apex.yaml, secrets, clock.

The lowest layer: every other package imports from here and this package imports from none of them.
"""
