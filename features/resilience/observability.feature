Feature: What the backend tells about itself

  @id:health @smoke
  Scenario: Health is told to anybody
    Then health tells status, uptime and version

  @id:ready-tells-what-is-down @chaos @critical
  Scenario Outline: A backend without its <part> is not ready
    When the <part> is out of order
    Then the backend says that it is not ready because of the <part>, and is healthy all the same

    Examples:
      | part     |
      | database |
      | provider |

  @id:metrics-name-nobody @security
  Scenario: The measurements name nobody
    Given a unit that is connected to WhatsApp
    Then the measurements are for whoever has the token, move with what happens, and name no unit and no telephone

  @id:log-tells-no-phone @security @critical
  Scenario: The log names nobody
    Given a unit that is connected to WhatsApp
    And a customer who has never written
    And a message for the customer
    When the unit sends the customer a message
    And the customer writes "Quero falar com a gerente" as "a plain text"
    And a customer's message arrives for an instance that does not exist
    Then the log names no telephone and no secret of it
