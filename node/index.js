'use strict';

const addon = require('./lib/load.js');
const { AbortError, KarakP2PError } = require('./lib/errors.js');
const { Key, peerId } = require('./lib/key.js');
const { Node } = require('./lib/node.js');
const { Message } = require('./lib/record.js');
const { Topic, json } = require('./lib/topic.js');

module.exports.AbortError = AbortError;
module.exports.KarakP2PError = KarakP2PError;
module.exports.Key = Key;
module.exports.Message = Message;
module.exports.Node = Node;
module.exports.Topic = Topic;
module.exports.json = json;
module.exports.peerId = peerId;
module.exports.version = addon.version();
