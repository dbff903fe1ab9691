//! What the test suites share: fixtures and counters.
