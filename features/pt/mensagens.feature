# language: pt
Funcionalidade: Clientes e unidades trocam mensagens

  Contexto:
    Dado uma unidade conectada ao WhatsApp
    E um cliente que nunca escreveu

  @id:pt-primeira-mensagem @core
  Cenário: A primeira mensagem cria contato, conversa e mensagem
    Quando o cliente escreve um texto com emoji, acentos combinados e quebras de linha
    Então a unidade tem exatamente um contato com o número do cliente
    E a unidade tem exatamente uma conversa aberta com o cliente
    E a conversa contém exatamente uma mensagem, do cliente, recebida
    E o texto da mensagem é o do cliente, byte por byte

  @id:pt-envio-unico @outbound
  Cenário: Uma mensagem é enviada uma só vez, embora a primeira chamada falhe
    Dado o provedor recusa a próxima chamada de envio da unidade
    Quando a unidade envia uma mensagem ao cliente
    Então a mensagem foi aceita na segunda tentativa
    E o cliente recebeu a mensagem exatamente uma vez
    Quando a unidade envia de novo a mesma mensagem com a mesma chave
    Então a primeira resposta é dada de novo, marcada como deduplicada
    E o cliente recebeu a mensagem exatamente uma vez

  @id:pt-mensagem-repetida @core
  Esquema do Cenário: Uma mensagem que chega <vezes> ao mesmo tempo é guardada uma só vez
    Quando o provedor entrega uma mensagem do cliente <vezes> ao mesmo tempo
    Então todas as entregas foram aceitas
    E a mensagem é guardada uma só vez

    Exemplos:
      | vezes      |
      | duas vezes |
      | 8 vezes    |
