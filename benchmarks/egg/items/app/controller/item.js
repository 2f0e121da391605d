'use strict';

const { Controller } = require('egg');

module.exports = class ItemController extends Controller {
  async plain() {
    this.ctx.body = 'hello';
  }

  async show() {
    this.ctx.body = await this.service.item.find(Number(this.ctx.params.number));
  }
};
