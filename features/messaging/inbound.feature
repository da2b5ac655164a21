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

  @id:same-words-twice @core
  Scenario: The same words twice are two messages in one conversation
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    When the customer writes the same words 2 times, each time under another name
    Then each of them is stored once
    And the unit has exactly one contact with the customer's number
    And the unit has exactly one open conversation with the customer

  @id:picture-without-words @core
  Scenario: A picture without a word is a message
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    When the customer sends a picture without a word
    Then the unit has exactly one open conversation with the customer
    And the conversation holds exactly one message, from the customer, received
