'use strict';

// Node's own cluster with the two routes by hand: what Egg stands on. `node http_cluster.js PORT WORKERS`.
const cluster = require('node:cluster');
const http = require('node:http');

const [ port, workers ] = process.argv.slice(2).map(Number);

if (cluster.isPrimary) {
  for (let i = 0; i < workers; i++) cluster.fork();
} else {
  http.createServer((request, response) => {
    if (request.url.startsWith('/items/')) {
      const number = Number(request.url.slice(7));
      const body = JSON.stringify({ id: number, name: `item ${number}`, tags: [ 'a', 'b' ] });
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
      response.end(body);
    } else {
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 5 });
      response.end('hello');
    }
  }).listen(port, '127.0.0.1');
}
