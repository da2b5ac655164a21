Feature: A unit connects its WhatsApp number

  A unit's manager asks for a connection, sees a QR code, and scans it with the unit's telephone.

  @id:connect-generates-qr @seed @critical
  Scenario: Connecting a unit shows a QR code
    Given a unit that has never connected WhatsApp
    When its manager connects WhatsApp
    Then the answer is 201 and the connection waits for a scan
    And the QR code is a PNG image that a phone can read
    And the provider created exactly one instance, named after the unit
    And the provider was given one webhook address of the backend, for all five kinds of event
    When its manager connects WhatsApp once more
    Then the same connection is answered
    And the provider created exactly one instance, named after the unit
    When the provider sends a new QR code to the registered webhook address
    Then the unit's manager is shown the new QR code
    When somebody sends another QR code with a wrong secret
    Then it is turned away
    And the unit's manager is still shown the new QR code

  @id:scan-connects @seed @critical
  Scenario: Scanning the QR code connects the unit
    Given a unit whose QR code waits to be scanned
    When a person scans the QR code with the unit's phone
    Then the unit is connected within 5 seconds, because the scan was completed
    And the time of connecting is shown
    And no QR code is shown any more
    And the backend was not restarted
