Feature: What a unit is shown of its connection

  The provider's events arrive late, twice and out of order, or not at all. What a unit is shown must be right all the same.

  @id:instance-name-is-derived @core @security @critical
  Scenario: The instance's name is the unit's, whatever the caller asks for
    Given a unit that has never connected WhatsApp
    When its manager connects WhatsApp, naming another instance, key and webhook
    Then the provider created exactly one instance, named after the unit
    And no instance of another name was made at the provider

  @id:providers-address-is-not-the-callers @security @critical
  Scenario: Where the provider is, no caller decides
    Given a unit that has never connected WhatsApp
    When its manager connects WhatsApp, naming another address of the provider
    Then nobody called the address that the caller named

  @id:connect-through-nobody @core
  Scenario: A provider that does not exist cannot be connected
    Given a unit that has never connected WhatsApp
    When its manager connects WhatsApp through a provider that does not exist
    Then the answer is 400 or 422

  @id:connects-at-once @core
  Scenario: Several connects at once make one instance
    Given a unit that has never connected WhatsApp
    When its manager connects WhatsApp 6 times at once
    Then each was answered with the connection, or that another is under way
    And the provider created exactly one instance, named after the unit

  @id:status-read-writes-nothing @core
  Scenario: Reading the status changes nothing
    Given a unit whose QR code waits to be scanned
    When its manager reads the status 5 times
    Then every reading shows the same, waiting for the scan

  @id:qr-code-is-the-units-own @security @critical
  Scenario: A QR code that waits is shown to its unit alone
    Given a unit whose QR code waits to be scanned
    Then another unit's manager is not shown that QR code

  @id:older-event-never-wins @core @critical
  Scenario: An older event never beats a newer one
    Given a unit that is connected to WhatsApp
    When WhatsApp logs the unit out
    Then the status is disconnected because of logged_out
    When the provider's event open arrives, 30 seconds old
    Then the status is still disconnected because of logged_out
    When the provider's event connecting arrives, 20 seconds old
    Then the status is still disconnected because of logged_out

  @id:older-close-never-wins @core
  Scenario: A close that arrives late does not disconnect
    Given a unit that is connected to WhatsApp
    When the provider's event close arrives, 3600 seconds old
    Then the status is still connected because of scan_completed

  @id:late-qr-code @core
  Scenario: A QR code that arrives late does not disconnect
    Given a unit that is connected to WhatsApp
    When a QR code of the provider arrives, 3600 seconds old
    Then the status is still connected because of scan_completed

  @id:repeated-event-changes-nothing @core
  Scenario: The same event twice changes nothing
    Given a unit that is connected to WhatsApp
    And its connectedAt is noted
    When the provider's event open arrives
    Then the status is connected because of scan_completed
    And connectedAt is still what it was

  @id:close-reasons @core
  Scenario Outline: A close with code <code> is shown as <reason>
    Given a unit that is connected to WhatsApp
    When the provider's event close arrives with code <code>
    Then the status is disconnected because of <reason>
    And a time of disconnecting is shown, and no QR code

    Examples:
      | code | reason       |
      | 401  | logged_out   |
      | 403  | banned       |
      | 408  | disconnected |

  @id:connecting-is-shown @core
  Scenario: A connection that is being made is shown so
    Given a unit that is connected to WhatsApp
    When the provider's event connecting arrives
    Then the status is connecting because of initializing
    When the provider's event open arrives
    Then the status is connected because of reconnected

  @id:drop-comes-back @core
  Scenario: A connection that drops and comes back is told from a new scan
    Given a unit that is connected to WhatsApp
    When the connection drops and comes back by itself
    Then the status is connected because of reconnected

  @id:no-more-qr-codes @core
  Scenario: When no QR code comes any more, the unit is told
    Given a unit whose QR code waits to be scanned
    When the provider tells that no further QR code will come
    Then the status is error because of qr_expired
    And no QR code is shown, and none can be fetched

  @id:qr-code-refused @core
  Scenario: When pairing is refused, the unit is told
    Given a unit whose QR code waits to be scanned
    When the provider's event refused arrives
    Then the status is error because of qr_expired
    And no QR code is shown, and none can be fetched

  @id:missed-event-is-noticed @core @chaos @lets-hours-pass
  Scenario: What an event told wrongly, a look at the provider puts right
    Given a unit that is connected to WhatsApp
    When the provider's event close arrives with code 428
    Then the status is disconnected because of disconnected
    And the status becomes connected because of reconnected without another event

  @id:provider-out-of-reach @chaos @lets-hours-pass
  Scenario: A provider that cannot be reached changes no status
    Given a unit that is connected to WhatsApp
    When the provider is out of reach for the unit
    Then the unit is shown as degraded, and still connected

  @id:errors-tell-no-secret @security @critical
  Scenario: A connect that the provider refuses says why, and tells no secret
    Given a unit that has never connected WhatsApp
    And the provider refuses to make the unit's instance
    When its manager connects WhatsApp
    Then the answer is 502 or 503, with the cause and without a secret
    When the provider works again
    And its manager connects WhatsApp once more
    Then the status is qr because of waiting_scan

  @id:disconnect @core
  Scenario: Disconnecting logs the unit out at the provider
    Given a unit that is connected to WhatsApp
    When its manager disconnects WhatsApp
    Then the answer is 200
    And the provider was asked to log the unit out
    And the status is disconnected because of disconnected
    And a time of disconnecting is shown, and no QR code
    When its manager connects WhatsApp
    Then the answer is 201 and the connection waits for a scan

  @id:disconnect-needs-the-provider @chaos
  Scenario: A disconnect that the provider does not confirm changes nothing
    Given a unit that is connected to WhatsApp
    When the provider is out of reach for the unit
    And its manager disconnects WhatsApp
    Then the answer is 502, and the provider was not obeyed
    And the status is still connected because of scan_completed
