Feature: What becomes of a message that a unit sends

  The provider's answer is not what happened: a message may be out although the call failed. What is shown must be true, nobody may
  get a message twice, and no message costs more than three calls.

  @id:accepted-is-not-delivered @outbound @critical
  Scenario: A message that was accepted is sent, not delivered
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And every send of the unit "is answered and never acknowledged"
    When the unit sends the customer a message
    Then the message is accepted
    And what the unit is shown of the message stays sent

  @id:text-goes-out-unchanged @outbound
  Scenario: A text goes out as it was written
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    When the unit sends a subtle text
    Then the customer got the text, byte for byte

  @id:number-as-people-write-it @outbound
  Scenario Outline: A number may be written as people write it, <how>
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message for the customer
    When the unit sends the message to the customer's number as people write it, "<how>"
    Then the customer got the message exactly once

    Examples:
      | how                 |
      | with the country    |
      | without the country |

  @id:outcome-not-known @outbound @chaos @critical
  Scenario Outline: A send that <happens> is not made again blindly
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And the unit's next send "<happens>"
    When the unit sends the customer a message
    Then the answer says that the outcome is not known yet
    And however long one waits, the customer gets the message at most once, and it is shown as it is

    Examples:
      | happens                                   |
      | is answered with 400 and goes out         |
      | is answered with 500 and goes out         |
      | is cut off and goes out                   |
      | is answered with 400 and does not go out  |
      | is answered with 500 and does not go out  |
      | is cut off and does not go out            |
      | is answered with 201 in HTML and goes out |

  @id:timeout-is-not-sent-again @outbound @chaos @critical
  Scenario: A send that is not answered in time is not made again
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And the unit's next send "is not answered in time and goes out"
    When the unit sends the customer a message
    Then the answer says that the outcome is not known yet
    And the provider was called 1 times to send
    And what the unit is shown of the message becomes sent
    And the customer got the message exactly once

  @id:doubt-is-settled @outbound @chaos
  Scenario: A doubtful message that went out is found
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And the unit's next send "is answered with 500 and goes out"
    When the unit sends the customer a message
    Then the answer says that the outcome is not known yet
    And what the unit is shown of the message becomes sent
    And the provider was called 1 times to send

  @id:doubt-is-settled-without-ninth-digit @outbound @chaos
  Scenario: A doubtful message is found under the number that WhatsApp knows
    Given a unit that is connected to WhatsApp
    And a customer whom WhatsApp knows without the ninth digit
    And the unit's next send "is answered with 500 and goes out"
    When the unit sends the customer a message
    Then the answer says that the outcome is not known yet
    And what the unit is shown of the message becomes sent
    And the provider was called 1 times to send

  @id:one-send-proves-one-message @outbound @chaos
  Scenario: What went out once proves one message, not its twin
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message for the customer
    When the unit sends the customer a message
    And the unit sends the same text once more, and that send "is answered with 500 and does not go out"
    Then the answer says that the outcome is not known yet
    And however long one waits, that message is not shown as sent
    And the customer got the message exactly once

  @id:number-not-on-whatsapp @outbound
  Scenario: A number that is not on WhatsApp is refused at once
    Given a unit that is connected to WhatsApp
    And a customer whose number is not on WhatsApp
    And a message for the customer
    When the unit sends the customer a message
    Then the message failed
    And the provider was called 1 times to send
    And the customer got nothing
    And what the unit is shown of the message stays failed

  @id:three-attempts-at-most @outbound @critical
  Scenario: After three refusals a message has failed
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And every send of the unit "is answered with 429"
    When the unit sends the customer a message
    Then the message failed after 3 attempts
    And the provider was called 3 times to send
    And the customer got nothing

  @id:attempts-are-apart @outbound
  Scenario: Between its attempts a message waits, also when the provider names no time
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And every send of the unit "is answered with 429 that names no time"
    When the unit sends the customer a message, and nobody hurries its clock
    Then the message failed after 3 attempts
    And the three calls were not made at once

  @id:three-attempts-over-workers @outbound @chaos
  Scenario: Three attempts are three, whoever makes them
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And every send of the unit "is answered with 429 for 30 seconds"
    When the unit sends the customer a message
    Then however long one waits, the provider is called at most 3 times, and the message shown as it is

  @id:retry-after-is-honoured @outbound
  Scenario: The provider says when to come back
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And the unit's next send "is answered with 429 for 5 seconds"
    When the unit sends the customer a message
    Then the message is accepted
    And the second call came at least 5 seconds after the first
    And the customer got the message exactly once

  @id:unit-is-refused @outbound @chaos
  Scenario: When the provider no longer knows the unit, the unit is told
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message for the customer
    And the provider does not know the unit any more
    When the unit sends the customer a message
    Then the message failed
    And the provider was called 1 times to send
    And the status is error

  @id:same-key-with-another-text @outbound @critical
  Scenario: One key is one message: another text is refused
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message for the customer
    When the unit sends the customer a message
    And the unit sends another text with the same key
    Then it is refused, and the customer got the first text alone

  @id:same-key-with-another-phone @outbound
  Scenario: One key is one message: another phone is refused
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message for the customer
    When the unit sends the customer a message
    And the unit sends another customer the same text with the same key
    Then it is refused, and the customer got the first text alone

  @id:keys-that-look-alike @outbound
  Scenario Outline: A key that <differs> is another key
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message for the customer
    When the unit sends the customer a message
    And the unit sends another text with a key that "<differs>"
    Then that send is accepted, and not as a repetition

    Examples:
      | differs                    |
      | differs in its last letter |
      | is in the other case       |

  @id:key-is-kept @outbound @lets-hours-pass
  Scenario: A key is known for longer than a client remembers it
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message for the customer
    When the unit sends the customer a message
    And 49 hours pass
    And the unit sends the same message with the same key again
    Then the first answer is given again, marked as deduplicated
    And the customer got the message exactly once

  @id:same-key-in-two-units @outbound @security
  Scenario: A key is the unit's own
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message for the customer
    When the unit sends the customer a message
    And a second connected unit sends with the same key
    Then each unit has a message of its own

  @id:same-key-at-once @outbound @critical
  Scenario: The same request many times at once is one message
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message for the customer
    When the unit sends the customer the message 20 times at once
    Then all of them are one message

  @id:refused-request-keeps-its-key-free @outbound
  Scenario: A request that was refused has not used its key
    Given a unit whose QR code waits to be scanned
    And a customer who has never written
    And a message for the customer
    When the unit sends the customer a message
    Then the send is refused, because the unit is not connected
    When a person scans the QR code with the unit's phone
    Then the unit is connected within 5 seconds, because the scan was completed
    When the unit sends the same message with the same key again
    Then that send is accepted, and not as a repetition
    And the customer got the message exactly once

  @id:replay-of-a-failure-is-none @outbound
  Scenario: The repetition of a message that failed is no success
    Given a unit that is connected to WhatsApp
    And a customer whose number is not on WhatsApp
    And a message for the customer
    When the unit sends the customer a message
    Then the message failed
    When the unit sends the same message with the same key again
    Then the repetition says that it failed, and nothing more was tried

  @id:failure-stays-a-failure @outbound
  Scenario: A message that failed stays failed
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And every send of the unit "is answered with 429"
    When the unit sends the customer a message
    Then the message failed after 3 attempts
    And what the unit is shown of the message stays failed
    And the customer got nothing

  @id:slow-provider-blocks-nobody @outbound @chaos
  Scenario: While the provider thinks, the unit goes on
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And the unit's next send "takes 12 seconds"
    When the unit sends the message, and meanwhile the unit is asked for and written to
    Then everything else was answered while the provider was still thinking

  @id:slow-provider-sends-once @outbound @chaos
  Scenario: A provider that takes its time sends once
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And the unit's next send "takes 12 seconds"
    When the unit sends the customer a message
    Then however long one waits, the customer gets the message at most once, and it is shown as it is

  @id:not-connected @outbound
  Scenario: A unit that is not connected cannot send
    Given a unit that has never connected WhatsApp
    And a customer who has never written
    And a message for the customer
    When the unit sends the customer a message
    Then the send is refused, because the unit is not connected

  @id:not-sent-without-a-database @outbound @chaos
  Scenario: What cannot be stored is not sent
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message for the customer
    When the unit sends the customer a message while the database loses what is committed
    Then the send is an error, and nothing went out
    When the unit sends the same message with the same key again
    Then that send is accepted, and not as a repetition
    And the customer got the message exactly once

  @id:super-admin-names-the-unit @outbound @security
  Scenario: The super_admin sends in the name of the unit that is named
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message for the customer
    When the super_admin sends the customer the message in the unit's name
    Then the message is accepted
    And the customer got the message exactly once
    When the super_admin sends the customer the message and names no unit
    Then the answer is a refusal, and the customer got nothing more

  @id:bad-input @outbound @security
  Scenario Outline: <what> is no number to write to
    Given a unit that is connected to WhatsApp
    When the unit sends "Hello" to the phone "<phone>"
    Then the answer is a refusal of bad input

    Examples:
      | what              | phone                                    |
      | nothing           |                                          |
      | a word            | maria                                    |
      | three digits      | 123                                      |
      | forty digits      | 5511999990000551199999000055119999900005 |
      | a group           | 120363025246125486@g.us                  |
      | everybody         | status@broadcast                         |
      | foreign numerals  | ٥٥١١٩٩٩٩٩٠٠٠٠                            |

  @id:empty-text @outbound
  Scenario: A text of blanks is no message
    Given a unit that is connected to WhatsApp
    When the unit sends "   " to the phone "5511999991234"
    Then the answer is a refusal of bad input

  @id:endless-text @outbound @security
  Scenario: A text without end is no message
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    When the unit sends a text of 70000 characters
    Then the answer is a refusal of bad input
