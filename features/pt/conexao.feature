# language: pt
Funcionalidade: Uma unidade conecta seu número de WhatsApp

  @id:pt-leitura-conecta @core
  Cenário: Ler o QR code conecta a unidade
    Dado uma unidade cujo QR code espera ser lido
    Quando uma pessoa lê o QR code com o telefone da unidade
    Então a unidade está conectada em 5 segundos, porque a leitura foi concluída
    E a hora da conexão é mostrada
    E nenhum QR code é mais mostrado
    E o backend não foi reiniciado
