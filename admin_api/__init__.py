"""The control plane's HTTP API, served by the control process behind APEX_ADMIN_TOKEN."""
