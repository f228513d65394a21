// A client on the package `ws` that sends what its input requests, and reports what it receives:
//
//     node client.cjs URL ['NAME: VALUE'...]
//
// It prints and reads one JSON object on each line: see testkit/src/behavior/programs.rs.
'use strict';

const { createInterface } = require('node:readline');

const WebSocket = require('ws');

const [url, ...lines] = process.argv.slice(2);
const headers = Object.fromEntries(lines.map((line) => line.split(': ')));
const say = (said) => console.log(JSON.stringify(said));

const socket = new WebSocket(url, { headers });
let refused = false;
socket.on('upgrade', (response) => say({ open: response.headers }));
socket.on('unexpected-response', (_, response) => {
  refused = true;
  say({ refused: response.statusCode });
  process.exit();
});
socket.on('message', (data, isBinary) => say(isBinary ? { binary: data.toString('hex') } : { text: data.toString() }));
socket.on('error', (error) => console.error(error.message));
socket.on('close', (code, reason) => {
  if (!refused) say({ closed: code, reason: reason.toString() });
});

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const order = JSON.parse(line);
    if (order.send !== undefined) socket.send(order.send);
    if (order.close !== undefined) socket.close(order.close);
  })
  .on('close', () => process.exit());
