"""Tests of the fake Evolution API."""
