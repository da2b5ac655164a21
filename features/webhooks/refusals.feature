Feature: Events that do not belong here

  @id:invalid-provider-refused @seed @critical
  Scenario: An event of an unknown provider is refused
    Given a unit that is connected to WhatsApp
    When a customer's message arrives under the name of a provider that does not exist
    Then the answer is 400 with an error
    And the message is stored nowhere

  @id:unknown-instance-tolerated @seed @critical
  Scenario: An event of an unknown instance is tolerated
    Given a unit that is connected to WhatsApp
    And a second unit that has never connected WhatsApp
    When a customer's message arrives for an instance that does not exist
    Then the answer is 200 with the warning "unknown_instance"
    When a customer's message arrives for the second unit, which has no connection
    Then the answer is 200 with the warning "unknown_instance"
    When a customer's message arrives for an instance that does not exist, with a wrong secret
    Then the answer is 200 with the warning "unknown_instance"
    And none of these messages is stored in either unit
