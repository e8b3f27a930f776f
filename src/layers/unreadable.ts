/** Why a layer, a database or a file cannot be read, as a clause: the rest of the image is still listed, and this is reported with it. */
export class Unreadable extends Error {}
