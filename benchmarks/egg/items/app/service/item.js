'use strict';

const { Service } = require('egg');

module.exports = class ItemService extends Service {
  async find(number) {
    return { id: number, name: `item ${number}`, tags: [ 'a', 'b' ] };
  }
};
