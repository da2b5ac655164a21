Feature: A campaign writes to many customers

  WhatsApp bans numbers that send in bursts: a unit's number rests between any two messages.

  @id:campaign-one-after-the-other @seed @critical
  Scenario: A campaign sends one after the other
    Given a unit that is connected to WhatsApp
    And a campaign for 5 customers of the unit
    When the campaign is dispatched
    Then the campaign is completed
    And every customer got the campaign's text exactly once
    And between any two messages at least 2 seconds pass on the provider's clock
    And the campaign's counts add up to 5, with none pending, failed or unknown
