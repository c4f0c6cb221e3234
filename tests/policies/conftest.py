"""A migrated SQL store as the control process has it, and Hypothesis without deadlines."""

from hypothesis import HealthCheck, settings

from tests.sql_engines import migrated_url, postgresql, sql_engine

__all__ = ["migrated_url", "postgresql", "sql_engine"]

settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
