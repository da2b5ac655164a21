Feature: What the provider delivers

  What is answered with 2xx is never delivered again: it must be stored by then. What cannot be read must neither be lost nor stop
  what comes after it, and nothing but a customer's message may look like one.

  @id:accepted-means-stored @core @critical
  Scenario: What was accepted is stored
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    When 5 messages of the customer arrive, and each is looked for as soon as it is answered
    Then each was there

  @id:every-entry-of-a-batch-counts @core
  Scenario Outline: Every message in <form> counts
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    When 3 messages of the customer arrive as "<form>"
    Then each of them is stored once

    Examples:
      | form                    |
      | a list                  |
      | an object with messages |

  @id:poison-in-a-batch @core @chaos
  Scenario: One entry that cannot be read does not take the others with it
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    When a list arrives in which one entry cannot be read
    Then each of them is stored once

  @id:poison-is-quarantined @core @chaos @security
  Scenario Outline: A delivery that <kind> is kept, and stops nothing
    Given a unit that is connected to WhatsApp
    When a delivery arrives that "<kind>"
    Then it is answered with 200 and kept for a person to look at
    And the next message of a customer is stored

    Examples:
      | kind                        |
      | is no JSON                  |
      | is no UTF-8                 |
      | is a list                   |
      | names no known event        |
      | has no key                  |
      | holds a number out of range |
      | holds a NUL                 |
      | holds half a character      |
      | is nested without end       |
      | has a text that is a list   |

  @id:not-a-customers-message @core
  Scenario Outline: <Kind> is no message of a customer
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    When "<kind>" arrives
    Then it is answered with 200 and is no message of a customer

    Examples:
      | Kind                                | kind                                |
      | What the unit's own telephone wrote | what the unit's own telephone wrote |
      | What was said in a group            | what was said in a group            |
      | Somebody's status                   | somebody's status                   |
      | A reaction                          | a reaction                          |
      | The deletion of a message           | the deletion of a message           |

  @id:text-in-every-form @core
  Scenario Outline: A text is read from <form>
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    When the customer writes "Quanto custa? 🛒" as "<form>"
    Then each of them is stored once

    Examples:
      | form                 |
      | an extended text     |
      | a vanishing text     |
      | a picture's caption  |
      | a document's caption |

  @id:same-id-in-two-units @core @security
  Scenario: One id in two units is two messages
    Given a unit that is connected to WhatsApp
    And a second unit that is connected to WhatsApp
    And a customer who has never written
    When the same message arrives for both units
    Then each unit has it once

  @id:hidden-identity @core
  Scenario: A message under a hidden identity is the same message
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    When the same message arrives under the customer's hidden identity
    Then the unit has it once, from one contact

  @id:no-instance-in-the-delivery @core
  Scenario: A delivery that names no instance is tolerated
    Given a unit that is connected to WhatsApp
    When a delivery arrives that names no instance
    Then it is answered with 200 and the warning "no_instance"

  @id:wrong-secret @security @critical
  Scenario Outline: A secret that is <kind> opens nothing
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    When the customer's message arrives with a secret that is "<kind>"
    Then it is turned away
    And the customer's message is stored nowhere

    Examples:
      | kind                      |
      | another one               |
      | longer                    |
      | shorter                   |
      | written in the other case |
      | another unit's            |

  @id:rotated-secret-expires @security @lets-hours-pass
  Scenario: A rotated secret is valid for a while, and no longer
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    When the webhook's secret is rotated
    Then a message with the old secret is stored
    And a message with the new secret is stored
    When the window for the old secret is over
    And the customer's message arrives with the old secret
    Then it is turned away
    And a message with the new secret is stored

  @id:lost-commit-is-redelivered @chaos @critical
  Scenario Outline: What arrives while the database <fails> is not lost
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    When the customer's message arrives while the database "<fails>"
    Then it is answered with 503 first, and is stored when it comes again

    Examples:
      | fails                   |
      | is down                 |
      | loses what is committed |

  @id:too-much-at-once @security
  Scenario: A delivery without end is refused
    Given a unit that is connected to WhatsApp
    When a delivery of 20 MB arrives
    Then the answer is 413
    And the next message of a customer is stored
