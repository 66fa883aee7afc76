"""What the MCP servers of both packages share: tools, creates by reference, stdio and HTTP.

Needs the extra ``mcp``, the official SDK. Knows no vendor.
"""
