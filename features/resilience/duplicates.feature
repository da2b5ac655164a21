Feature: The provider repeats itself

  The provider delivers at least once: after a timeout, after a restart, sometimes for days. Nobody may see a message twice.

  @id:inbound-stored-once @seed @critical @lets-hours-pass
  Scenario: A repeated message is stored once
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    When the provider delivers one message of the customer 8 times at once
    And the same message arrives 8 times at once at the webhook address
    Then every delivery was accepted
    And the message is stored once
    When 6 minutes pass
    And the same message arrives again with another text and time
    Then every delivery was accepted
    And the message is stored once
    When 25 hours pass
    And the same message arrives again with another text and time
    Then every delivery was accepted
    And the message is stored once
    And the stored text is that of the first delivery
