// Runs the client of the source document (client.js, kept byte for byte) against another URL:
//
//     node load.cjs ws://127.0.0.1:PORT/ws?apiKey=KEY
//
// Only the URL is replaced. Node.js 20 has no WebSocket of its own, so the package `ws` stands in for the browser's.
'use strict';

const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { runInThisContext } = require('node:vm');

const WebSocket = require('ws');

const DOCUMENTED_URL = 'ws://localhost:3001/ws?apiKey=YOUR_API_KEY';

const [url] = process.argv.slice(2);
if (url === undefined) {
  console.error('usage: node load.cjs URL');
  process.exit(2);
}
const file = join(__dirname, 'client.js');
const parts = readFileSync(file, 'utf8').split(DOCUMENTED_URL);
if (parts.length !== 2) {
  console.error(`${file} must name ${DOCUMENTED_URL} exactly once`);
  process.exit(2);
}

globalThis.WebSocket = WebSocket;
runInThisContext(parts.join(url), { filename: file });
