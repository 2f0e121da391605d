'use strict';

module.exports = app => {
  app.router.get('/plain', 'item.plain');
  app.router.get('/items/:number', 'item.show');
};
