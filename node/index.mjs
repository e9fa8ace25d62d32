import karakp2p from './index.js';

export const {
	AbortError, KarakP2PError, Key, Message, Node, Topic, json, peerId, version,
} = karakp2p;
export default karakp2p;
