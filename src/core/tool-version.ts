/** Version of the tool, also recorded in a bundle as its oldest supported reader. A test compares it with package.json. */
export const toolVersion = '0.1.0'
