"""Pictures of pictures: heat maps in colours, labelled sheets, films, and channels as they are shown."""
