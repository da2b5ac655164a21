Feature: How far a message has come

  Acknowledgements arrive in two forms, late, twice and out of order. What is shown of a message only ever moves forward.

  @id:acknowledgement-in-both-forms @core @outbound @critical
  Scenario Outline: An acknowledgement with <form> is understood
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message that the unit has sent to the customer
    When the acknowledgement DELIVERY_ACK arrives in the form with "<form>"
    Then the message is shown as delivered
    When the acknowledgement READ arrives in the form with "<form>"
    Then the message is shown as read

    Examples:
      | form   |
      | keyId  |
      | key.id |

  @id:status-never-moves-back @core @outbound @critical
  Scenario: What was read stays read
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message that the unit has sent to the customer
    When the acknowledgement READ arrives
    Then the message is shown as read
    When the acknowledgement DELIVERY_ACK arrives
    And the acknowledgement SERVER_ACK arrives
    Then the message is still shown as read

  @id:played-is-read @core @outbound
  Scenario: What was played was read
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message that the unit has sent to the customer
    When the acknowledgement PLAYED arrives
    Then the message is shown as read

  @id:error-before-delivery @core @outbound
  Scenario: A message that WhatsApp refuses afterwards has failed
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message that the unit has sent to the customer
    When the acknowledgement ERROR arrives
    Then the message is shown as failed

  @id:error-after-delivery @core @outbound
  Scenario: A message that was delivered cannot fail any more
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message that the unit has sent to the customer
    When the acknowledgement DELIVERY_ACK arrives
    Then the message is shown as delivered
    When the acknowledgement ERROR arrives
    Then the message is still shown as delivered

  @id:acknowledged-before-answered @outbound @chaos
  Scenario: An acknowledgement that overtakes its message is kept
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    When the unit sends a message that is acknowledged as read before the provider answers
    Then the message is shown as read

  @id:acknowledgement-of-another-unit @core @security
  Scenario: What another unit's provider acknowledges is not the unit's message
    Given a unit that is connected to WhatsApp
    And a second unit that is connected to WhatsApp
    And a customer who has never written
    And a message that the unit has sent to the customer
    When the acknowledgement READ of that message arrives for the second unit
    Then the message is still shown as sent
