Feature: A campaign in the real world

  Several campaigns share one number; customers cannot be reached; the provider refuses, WhatsApp bans. The number must survive it,
  nobody may get a text twice, and what is counted must add up at any moment.

  @id:pace-holds-over-campaigns @campaigns @critical
  Scenario: Two campaigns of one number share its pace
    Given a unit that is connected to WhatsApp
    And 2 campaigns for 6 customers each
    When all campaigns are dispatched at once
    Then every campaign is completed
    And between any two calls to the provider at least 2 seconds pass

  @id:one-bad-recipient-stops-nobody @campaigns @critical
  Scenario: A customer who cannot be reached stops nobody
    Given a unit that is connected to WhatsApp
    And a campaign for 4 customers, of whom number 2 is not on WhatsApp
    When the campaign is dispatched
    Then the campaign becomes completed
    And every customer but number 2 got it exactly once
    And the counts are 3 sent and 1 failed

  @id:pause-after-a-failed-send @campaigns
  Scenario: The number rests after a failure too
    Given a unit that is connected to WhatsApp
    And a campaign for 4 customers, of whom number 1 is not on WhatsApp
    When the campaign is dispatched
    Then the campaign becomes completed
    And between any two calls to the provider at least 2 seconds pass

  @id:dispatch-needs-a-connection @campaigns @critical
  Scenario: A unit that is not connected cannot dispatch
    Given a unit that has never connected WhatsApp
    And a campaign for 2 customers of the unit
    When its manager tries to dispatch the campaign
    Then the answer is 400 or 409
    And nobody has got it

  @id:dispatched-twice @campaigns
  Scenario: Dispatched twice is one run
    Given a unit that is connected to WhatsApp
    And a campaign for 3 customers of the unit
    When the campaign is dispatched 3 times
    Then the campaign becomes completed
    When the campaign is dispatched 1 times
    Then each of the customers got it exactly once

  @id:named-twice @campaigns
  Scenario: A customer who is named twice gets it once
    Given a unit that is connected to WhatsApp
    And a campaign that names each of 2 customers twice
    When the campaign is dispatched
    Then the campaign becomes completed
    And each of the customers got it exactly once

  @id:campaign-for-nobody @campaigns
  Scenario: A campaign for nobody is refused
    Given a unit that has never connected WhatsApp
    When its manager orders a campaign for nobody
    Then the answer is 400 or 422

  @id:foreign-contacts-are-refused @campaigns @security @critical
  Scenario: The contacts of another unit do not exist
    Given a unit that has never connected WhatsApp
    When its manager orders a campaign for a contact of another unit
    Then the answer is 404

  @id:paused-and-resumed @campaigns
  Scenario: A campaign that is paused goes on where it was
    Given a unit that is connected to WhatsApp
    And a campaign for 5 customers of the unit
    When the campaign is dispatched
    And 2 customers have got it
    And its manager pauses the campaign
    Then however long one waits, at most one more customer gets it
    And the counts add up
    When its manager resumes the campaign
    Then the campaign becomes completed
    And each of the customers got it exactly once
    And between any two calls to the provider at least 2 seconds pass

  @id:cancelled @campaigns
  Scenario: A campaign that is cancelled ends
    Given a unit that is connected to WhatsApp
    And a campaign for 5 customers of the unit
    When the campaign is dispatched
    And 2 customers have got it
    And its manager cancels the campaign
    And its manager tries to go on with the campaign all the same
    Then however long one waits, at most one more customer gets it
    And the campaign becomes cancelled
    And the counts add up

  @id:throttled-campaign @campaigns @chaos
  Scenario: A provider that asks for a pause gets it
    Given a unit that is connected to WhatsApp
    And a campaign for 4 customers of the unit
    When the unit's next send is answered with 429 for 20 seconds
    And the campaign is dispatched
    And the campaign goes on, by itself or because its manager resumes it
    Then the campaign becomes completed
    And the next send came at least 20 seconds after the refusal
    And each of the customers got it exactly once

  @id:throttled-message-pauses-campaigns @campaigns @chaos
  Scenario: What the provider says to one message holds for the campaigns of the number
    Given a unit that is connected to WhatsApp
    And a campaign for 5 customers of the unit
    And a customer who has never written
    And a message for the customer
    When the campaign is dispatched
    And 2 customers have got it
    And the unit's next send to the customer is answered with 429 for 20 seconds
    And the unit sends the customer a message
    And the campaign goes on, by itself or because its manager resumes it
    Then the campaign becomes completed
    And the next send came at least 20 seconds after the refusal

  @id:banned-campaign @campaigns @chaos
  Scenario Outline: When WhatsApp <does>, what runs is paused
    Given a unit that is connected to WhatsApp
    And a campaign for 5 customers of the unit
    When the campaign is dispatched
    And 2 customers have got it
    And WhatsApp <does>
    Then the campaign becomes paused
    And the counts add up
    And none of the campaign's text went out twice

    Examples:
      | does               |
      | logs the unit out  |
      | bans the unit      |

  @id:repeated-until-proven @campaigns @chaos
  Scenario Outline: Whoever must be reached is reached once, also when a send <happens>
    Given a unit that is connected to WhatsApp
    And a campaign for 3 customers, each of whom it must reach
    And the campaign's first send "<happens>"
    When the campaign is dispatched
    Then the campaign becomes completed
    And each of the customers got it exactly once

    Examples:
      | happens                                  |
      | is answered with 500 and does not go out |
      | is answered with 500 and goes out        |

  @id:doubt-in-a-campaign @campaigns @chaos
  Scenario: A send of unknown outcome is shown as such, and not made again
    Given a unit that is connected to WhatsApp
    And a campaign for 3 customers of the unit
    And one send of the campaign fails without an answer
    When the campaign is dispatched
    Then the campaign becomes completed
    And every customer but number 1 got it exactly once
    And the counts are 2 sent and 1 unknown

  @id:scheduled-campaign @campaigns @lets-hours-pass
  Scenario: A campaign begins when it is due, and not before
    Given a unit that is connected to WhatsApp
    And a campaign for 2 customers that begins in 10 minutes
    Then nobody has got it
    When 10 minutes pass
    Then the campaign becomes completed
    And each of the customers got it exactly once
