# language: pt
Funcionalidade: Eventos que não pertencem a ninguém

  @id:pt-instancia-desconhecida @security
  Cenário: Um evento de uma instância desconhecida é tolerado
    Dado uma unidade conectada ao WhatsApp
    E uma segunda unidade que nunca conectou o WhatsApp
    Quando uma mensagem de cliente chega para uma instância que não existe
    Então a resposta é 200 com o aviso "unknown_instance"
    Quando uma mensagem de cliente chega para a segunda unidade, que não tem conexão
    Então a resposta é 200 com o aviso "unknown_instance"
    E a resposta contém
      """json
      {"received": true, "warning": "unknown_instance"}
      """
    E nenhuma destas mensagens é guardada em nenhuma das unidades
