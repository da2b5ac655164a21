Feature: The provider fails for a moment

  @id:outbound-sent-once @seed @critical
  Scenario: A message is sent once although the first call to the provider fails
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And the provider refuses the unit's next call to send
    When the unit sends the customer a message
    Then the message was accepted with the second attempt
    And the customer got the message exactly once
    When the unit sends the same message with the same key again
    Then the first answer is given again, marked as deduplicated
    And the provider was called twice to send, not a third time
    And the customer got the message exactly once
