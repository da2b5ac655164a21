Feature: Connecting

  Scenario: Connect generates a QR code
    Given a unit
    Then it waits for a scan
