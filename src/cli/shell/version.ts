/** Version of the tool: of package.json, and what a bundle says its oldest reader is. A test compares the two. */
export const toolVersion = '0.1.0'
