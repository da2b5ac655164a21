Feature: Customers write to a unit

  @id:inbound-creates-conversation @seed @critical
  Scenario: A first message creates contact, conversation and message
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    When the customer writes a text with emoji, combining characters and line breaks
    Then the unit has exactly one contact with the customer's number
    And the unit has exactly one open conversation with the customer
    And the conversation holds exactly one message, from the customer, received
    And the message's text is the customer's, byte for byte
