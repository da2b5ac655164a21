Feature: Tenants do not see each other

  @id:tenants-isolated @seed @critical
  Scenario: Nothing of one unit can be read or changed by another
    Given two connected units, each with contacts, conversations, messages and a campaign
    When each unit's manager tries every route and method on everything that belongs to the other
    Then every attempt is refused as if the thing did not exist
    And no answer contained anything of the other unit
    When each unit's manager lists everything, also naming the other unit
    Then every list shows the own unit's entries and none of the other's
    When both units watch their events while both receive a message
    Then each saw its own event and nothing of the other's
    And nobody can watch the other unit's events
    When each unit's manager tries to write in the other unit's name
    Then nothing was written, sent or created in the other unit
    And without signing in every route is refused
    And both units are as they were before

  @id:events-of-the-unit-alone @core @security
  Scenario: A unit is told what happens to its messages and its connection
    Given a unit that is connected to WhatsApp
    And a second unit that is connected to WhatsApp
    And a customer who has never written
    When the unit's events are watched while a message is read, and first the second unit and then the unit is logged out
    Then it was told of both, and of nothing of the second unit
