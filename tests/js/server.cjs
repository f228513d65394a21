// A server of the MultiWA WebSocket API on the package `ws`, as deployed: a plain `subscribe` replaces the one before, an
// error has no code, and events of an earlier profile leak when their names match.
//
//     node server.cjs '{"keys":["KEY"],"compression":false,"tls":null}'
//
// It prints and reads one JSON object on each line: see testkit/src/behavior/programs.rs.
'use strict';

const http = require('node:http');
const https = require('node:https');
const { createInterface } = require('node:readline');

const { WebSocketServer } = require('ws');

const setup = JSON.parse(process.argv[2]);
let keys = setup.keys;

const say = (said) => console.log(JSON.stringify(said));
const now = () => new Date().toISOString();

const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: setup.compression });
const clients = new Set();

const { tls } = setup;
const server = tls ? https.createServer({ cert: tls.certificate, key: tls.key }) : http.createServer();
server.on('request', (request, response) => response.writeHead(426).end());
server.on('upgrade', (request, stream, head) => {
  const url = new URL(request.url, 'ws://localhost');
  const key = url.searchParams.get('apiKey');
  if (url.pathname !== '/ws') return refuse(stream, 404);
  if (keys.length > 0 && !keys.includes(key)) return refuse(stream, 401);
  sockets.handleUpgrade(request, stream, head, (socket) => acknowledge(socket, key));
});

function refuse(stream, status) {
  const body = JSON.stringify({ error: http.STATUS_CODES[status] });
  stream.end(
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`,
  );
}

function acknowledge(socket, key) {
  const client = { socket, key, profiles: new Set(), events: [] };
  clients.add(client);
  const send = (message) => socket.send(JSON.stringify(message));
  send({
    type: 'ack',
    payload: { message: 'Connected to MultiWA WebSocket API', clientId: String(clients.size), timestamp: now() },
  });
  socket.on('message', (data, isBinary) => {
    if (isBinary) return socket.close(1003);
    const answer = answerTo(client, JSON.parse(data.toString()));
    send(answer);
  });
  socket.on('error', () => {});
  socket.on('close', (code) => {
    clients.delete(client);
    say({ left: code });
  });
}

function answerTo(client, { type, payload, requestId }) {
  const reply = (type, payload) => ({ type, payload, requestId });
  switch (type) {
    case 'subscribe': {
      const profileId = payload?.profileId || payload?.sessionId;
      if (!Array.isArray(payload?.events) || payload.events.length === 0) {
        return reply('error', { error: 'Events array is required' });
      }
      if (!profileId) return reply('error', { error: 'profileId or sessionId is required' });
      client.profiles.add(profileId);
      client.events = payload.events;
      return reply('ack', { action: 'subscribed', profileId, events: payload.events });
    }
    case 'unsubscribe':
      client.profiles.clear();
      client.events = [];
      return reply('ack', { action: 'unsubscribed' });
    case 'ping':
      return reply('pong', { timestamp: now() });
    default:
      return reply('error', { error: 'Unknown message type' });
  }
}

function publish(payload) {
  const text = JSON.stringify({ type: 'event', payload });
  for (const { socket, profiles, events } of clients) {
    const named = events.includes('*') || events.includes(payload.event);
    const concerned = payload.profileId === undefined ? profiles.size > 0 : profiles.has(payload.profileId);
    if (named && concerned) socket.send(text);
  }
}

const nobodyIsLeft = async () => {
  while (clients.size > 0) await new Promise((resolve) => setTimeout(resolve, 2));
};

async function obey(order) {
  if (order.compresses) {
    const [{ socket }] = clients;
    return say({ compresses: socket.extensions.includes('permessage-deflate') });
  }
  if (order.publish) publish(order.publish);
  if (order.keys) {
    keys = order.keys;
    for (const { socket, key } of clients) {
      if (!keys.includes(key)) socket.close(1008, 'the API key is no longer valid');
    }
  }
  if (order.goAway) {
    for (const { socket } of clients) socket.close(1001);
  }
  if (order.crash) {
    const { port } = server.address();
    const closed = new Promise((resolve) => server.close(resolve));
    for (const { socket } of clients) socket.terminate();
    await nobodyIsLeft();
    await closed;
    await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  }
  say({ done: true });
}

server.listen(0, '127.0.0.1', () => say({ listening: server.address().port }));
createInterface({ input: process.stdin })
  .on('line', (line) => obey(JSON.parse(line)))
  .on('close', () => process.exit());
