# language: pt
Funcionalidade: Uma campanha escreve a muitos clientes

  @id:pt-campanha-um-apos-o-outro @campaigns
  Cenário: Uma campanha envia a um cliente após o outro
    Dado uma unidade conectada ao WhatsApp
    E uma campanha para 3 clientes da unidade
    Quando a campanha é disparada
    Então a campanha é concluída
    E cada cliente recebeu o texto da campanha exatamente uma vez
    E entre duas mensagens passam no relógio do provedor pelo menos 2 segundos
    E as contagens da campanha somam 3, sem nenhuma pendente, com falha ou desconhecida
