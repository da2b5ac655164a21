Feature: Who may do what

  @id:login @security @smoke
  Scenario: A login gives two tokens and the unit
    Given a unit that has never connected WhatsApp
    When somebody logs in as the manager with "the right password, for the own unit"
    Then the answer holds the user, two tokens and the unit

  @id:wrong-login @security @critical
  Scenario: A wrong password tells nothing
    Given a unit that has never connected WhatsApp
    When somebody logs in as the manager with "a wrong password"
    Then the answer to somebody unknown is the same

  @id:incomplete-login @security
  Scenario Outline: A login with <what> is refused as such
    Given a unit that has never connected WhatsApp
    When somebody logs in as the manager with "<what>"
    Then the answer is 400 or 422

    Examples:
      | what        |
      | no password |
      | no address  |

  @id:guessing-is-stopped @security
  Scenario: Guessing passwords is stopped, whatever address is claimed
    Given a unit that has never connected WhatsApp
    When somebody guesses passwords of the manager, each time from another address
    Then the guessing is stopped with 429, and is told when to come back

  @id:refresh-token-rotates @security @critical
  Scenario: A refresh token is good for one use
    Given a unit that has never connected WhatsApp
    When the manager's refresh token is used twice
    Then the first use gives two new tokens that work, the second none
    And only a refresh token renews anything

  @id:refresh-token-expires @security @lets-hours-pass
  Scenario: A refresh token lives for seven days
    Given a unit that has never connected WhatsApp
    And the manager's refresh token
    When the life of a refresh token is over
    Then that refresh token is refused

  @id:long-password @security
  Scenario: A long password counts to its end
    Given a unit that has never connected WhatsApp
    Then a long password counts to its end

  @id:access-token-expires @security @lets-hours-pass
  Scenario: An access token lives for fifteen minutes
    Given a unit that has never connected WhatsApp
    When the life of an access token is over
    Then the manager's token is refused

  @id:forged-tokens-are-refused @security @critical
  Scenario: Tokens that the backend did not make are refused
    Given a unit that has never connected WhatsApp
    Then no token that was made up or changed is accepted

  @id:users-show-no-password @security @critical
  Scenario Outline: The super_admin's list of <what> is in order
    Given a unit that has never connected WhatsApp
    Then the super_admin's lists show "<what>" newest first, without a password or hash

    Examples:
      | what  |
      | users |
      | units |

  @id:no-empty-list-for-an-error @chaos
  Scenario: A database that fails is no empty list
    Given a unit that has never connected WhatsApp
    Then a database that fails is told as such, and never as an empty list

  @id:events-need-a-token @security @critical
  Scenario: A unit's events are for its people
    Given a unit that has never connected WhatsApp
    Then nobody can watch the unit's events without its token

  @id:contacts-in-pages @core
  Scenario: Contacts come in pages
    Given a unit that has never connected WhatsApp
    And 7 contacts of the unit
    Then the contacts come in pages of 3, each once
    And a page of 101 is refused, or no longer than 100

  @id:everything-in-pages @core
  Scenario: Conversations, messages and campaigns come in pages
    Given a unit that is connected to WhatsApp
    And 7 conversations, 5 messages in the newest of them, and 4 campaigns of the unit
    Then the unit's conversations come in pages of 3, each once
    And the unit's messages come in pages of 2, each once
    And the unit's campaigns come in pages of 2, each once

  @id:one-number-one-contact @core
  Scenario: One number is one contact
    Given a unit that has never connected WhatsApp
    And a customer who has never written
    Then the same number twice is one contact

  @id:odd-requests @security @critical
  Scenario: Nothing that is asked brings the server down
    Given a unit that has never connected WhatsApp
    Then no odd request is answered with an error of the server's own

  @id:refusals-have-a-form @core
  Scenario: A refusal says what is wrong, and can be found in the log
    Given a unit that has never connected WhatsApp
    Then every refusal says what is wrong, and under which id it is logged
