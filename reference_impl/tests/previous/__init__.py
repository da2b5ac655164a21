"""Tests of the previous release."""
